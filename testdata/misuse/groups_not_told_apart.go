package main

import "github.com/sgtickets/common/listener"

func main() {
	_, _ = listener.NewDeadLetters(nil, "payments", "alerts", nil) // cannot use "alerts" (untyped string constant) as listener.DeadLettersOf value
}
