package memory

import (
	"slices"
	"time"
)

// unackedMessage is a message that was sent to a member of a group and is not
// acknowledged. It is with the member, or queued in group.resend, or delayed.
type unackedMessage struct {
	sequence   uint64
	member     *subscription // the member that it was sent to last; nil if it is queued or delayed
	takesRoom  bool          // it counts in member.inFlight
	delayed    bool          // given back with a delay: it is queued when it is due
	due        time.Time     // when it is sent again
	deliveries int
}

// queued reports whether the message is queued to be sent again.
func (u *unackedMessage) queued() bool { return u.member == nil && !u.delayed }

// takeFromMember takes the message from the member that it was sent to, if any.
func (u *unackedMessage) takeFromMember() {
	u.giveUpRoom()
	u.member = nil
}

// giveUpRoom makes room for another message at the member.
func (u *unackedMessage) giveUpRoom() {
	if u.takesRoom {
		u.takesRoom = false
		u.member.inFlight--
	}
}

// requeue queues a message to be sent again as soon as a member has room.
func (g *group) requeue(u *unackedMessage) {
	if u.queued() {
		return
	}
	u.takeFromMember()
	u.delayed = false
	g.resend = append(g.resend, u.sequence)
	slices.Sort(g.resend)
}

// delay makes a message that is given back wait. It takes no member's room meanwhile.
func (g *group) delay(u *unackedMessage, d time.Duration) {
	u.takeFromMember()
	g.resend = slices.DeleteFunc(g.resend, func(sequence uint64) bool { return sequence == u.sequence })
	u.delayed = true
	u.due = time.Now().Add(d)
	g.startTimer(u.due)
}
