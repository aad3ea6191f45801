package main

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestPipeGetsALineEachSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(bytes.Buffer)
		s := &screen{out: out, began: time.Now()}
		s.sayf("up")
		for range 15 {
			s.show("busy")
			time.Sleep(100 * time.Millisecond)
		}
		s.print("done")
		assert.Equal(t, "  0.0 s  up\n  0.0 s    busy\n  1.0 s    busy\ndone\n", out.String())
	})
}

func TestTerminalIsRedrawnInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(bytes.Buffer)
		s := &screen{out: out, terminal: true, began: time.Now()}
		s.show("busy")
		s.show("busier")
		s.print("done")
		const redraw = "\r\x1b[K"
		assert.Equal(t, redraw+"  0.0 s    busy"+redraw+"  0.0 s    busier"+redraw+"done\n", out.String())
	})
}
