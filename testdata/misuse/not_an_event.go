package main

import "github.com/sgtickets/common/publisher"

type ticket struct{}

func main() {
	_, _ = publisher.New[ticket](nil) // ticket does not satisfy events.Event (missing method Subject)
}
