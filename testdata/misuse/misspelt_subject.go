package main

import "github.com/sgtickets/common/subjects"

func main() {
	println(subjects.TicketCraeted) // undefined: subjects.TicketCraeted
}
