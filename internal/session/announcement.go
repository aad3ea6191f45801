package session

// Announcement is what a listener tells those who watch the client about one event.
type Announcement struct {
	Kind     AnnouncementKind
	Listener string // as reasons name it
	Subject  string // of the event
	Group    string // the listener's queue group
	Sequence uint64
	Reason   string // the reason of the dead letter, also where there is none
	Err      error  // why the event was given up, or can't be decoded
}

// AnnouncementKind tells announcements apart.
type AnnouncementKind int

// What listeners announce.
const (
	// DeadLettered: the event's dead letter is stored.
	DeadLettered AnnouncementKind = iota + 1
	// Undecodable: the event can't be decoded, or is not valid.
	Undecodable
)

// Tell announces something to those who watch the client.
func (s *Session) Tell(a Announcement) {
	if s.Announce != nil {
		s.Announce(a)
	}
}
