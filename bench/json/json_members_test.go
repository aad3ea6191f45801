package jsonbench

import (
	"bytes"
	"encoding/json"
)

// A member is a name of an object and the first token of its value.
type member struct {
	name      string
	duplicate bool // its object has had the name before
	value     json.Token
}

// hasMember reports whether any object of data has a member for which is holds.
func hasMember(data []byte, is func(member) bool) bool {
	found := false
	walkMembers(data, func(m member) { found = found || is(m) })
	return found
}

// walkMembers visits the members of all objects of data, as far as it is JSON.
func walkMembers(data []byte, visit func(member)) {
	type object struct {
		seen map[string]bool // nil: an array
		name *string         // nil: a name comes next
	}
	var stack []object
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	for {
		token, err := decoder.Token()
		if err != nil {
			return
		}
		if token == json.Delim('}') || token == json.Delim(']') {
			stack = stack[:len(stack)-1]
			continue
		}
		if len(stack) > 0 && stack[len(stack)-1].seen != nil {
			top := &stack[len(stack)-1]
			if top.name == nil {
				name := token.(string)
				top.name = &name
				continue
			}
			visit(member{*top.name, top.seen[*top.name], token})
			top.seen[*top.name] = true
			top.name = nil
		}
		switch token {
		case json.Delim('{'):
			stack = append(stack, object{seen: map[string]bool{}})
		case json.Delim('['):
			stack = append(stack, object{})
		}
	}
}
