package codec

import (
	"hash/maphash"
	"sync"
)

// words are short texts that were read lately: IDs and states come again and again, and
// then cost no memory of their own.
type words [256]string

// longWord is how many bytes a text has that is not kept.
const longWord = 64

var (
	wordLists = sync.Pool{New: func() any { return new(words) }}
	wordSeed  = maphash.MakeSeed()
)

// word returns the text as a string.
func (w *words) word(text []byte) string {
	if len(text) >= longWord {
		return string(text)
	}
	known := &w[maphash.Bytes(wordSeed, text)%uint64(len(w))]
	if *known != string(text) {
		*known = string(text)
	}
	return *known
}
