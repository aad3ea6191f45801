package codec

import (
	"reflect"
	"strings"
	"sync"
)

// shortText is how many bytes a text has at most that shares its memory with the other
// short ones of its event: enough for any kind of ID, and little to be held when the
// service keeps but one of them.
const shortText = 40

// texts are the short texts of an event, in one piece of memory.
type texts struct{ piece strings.Builder }

var textsPool = sync.Pool{New: func() any { return new(texts) }}

// textsFor makes room for those of a payload of that plan.
func textsFor(p plan, payload int) *texts {
	t, _ := textsPool.Get().(*texts)
	n := 0
	for i := range p {
		if p[i].kind == reflect.String {
			n += shortText
		}
	}
	t.piece.Grow(min(n, payload))
	return t
}

// done leaves the texts to the event.
func (t *texts) done() {
	t.piece.Reset()
	textsPool.Put(t)
}

// text returns one as a string.
func (t *texts) text(text []byte) string {
	at := t.piece.Len()
	if len(text) > shortText || at+len(text) > t.piece.Cap() {
		return string(text)
	}
	_, _ = t.piece.Write(text)
	return t.piece.String()[at:]
}
