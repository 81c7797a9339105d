package grub

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// AddWord puts a word at the end of a variable that holds a part of a command
// line. A word that is there is not added again; one that contradicts it is a
// *ConflictError; what cannot be done with certainty is a *RefusedError.
//
// The assignment that decides is edited in place, in whichever file it is.
// Where no file assigns the variable, a line is added to /etc/default/grub; where
// the value is known only to sh, to DropIn, if the distribution reads it.
func (c *Config) AddWord(name, text string) (*Config, error) {
	ws, err := c.lineOf(name, text)
	if err != nil {
		return nil, err
	}
	key := switchName(text)
	for _, w := range ws {
		if w.sure && w.text != text && switchName(w.text) == key {
			return nil, &ConflictError{c.whereIs(name, w), name, w.text, text}
		}
	}
	if slices.ContainsFunc(ws, func(w word) bool { return w.sure && w.text == text }) {
		return c, nil
	}
	v := c.state.at(name)
	inPlace := len(v.assigns) > 0 && last(v.assigns).sure && (certain(v.value) || last(v.assigns).doc.path == DropIn)
	var failure error
	for _, try := range []struct {
		may  bool
		edit func() (*Config, error)
	}{
		{inPlace, func() (*Config, error) { return c.insert(v, text) }},
		{len(v.assigns) == 0 && certain(v.value) && c.docs[0].was != nil, func() (*Config, error) {
			return c.appendLine(c.docs[0], fmt.Sprintf(`%s="%s"%s`, name, text, lineMark))
		}},
		{c.dropIns, func() (*Config, error) {
			own := fmt.Sprintf(`%s="${%s} %s"`, name, name, text)
			if len(v.value) == 0 {
				own = fmt.Sprintf(`%s="%s"`, name, text)
			}
			return c.appendLine(c.ownDropIn(), own)
		}},
	} {
		if !try.may {
			continue
		}
		edited, err := try.edit()
		if err == nil {
			// A later file that appends to the value may have the last word.
			err = edited.proves(c, name, ws, func(w word) bool { return w.sure && w.text == text })
		}
		if err == nil {
			return edited, nil
		}
		if failure == nil {
			failure = err
		}
	}
	return nil, c.refusal(name, failure)
}

// RemoveWord takes every such word out of a variable, in whichever file it
// stands, with one blank beside it. Of what AddWord wrote nothing stays; a line
// of its own goes even where a later assignment has made it void. Where the word
// is not there the Config is returned as it is.
func (c *Config) RemoveWord(name, text string) (*Config, error) {
	ws, err := c.lineOf(name, text)
	if err != nil {
		return nil, err
	}
	isText := func(w word) bool { return w.sure && w.text == text }
	v := c.state.at(name)
	gone := cuts{}
	gone.words(v.value, ws, isText)
	for _, a := range v.assigns {
		if own, bad := words(a.value); a.ours() && bad == nil {
			gone.words(a.value, own, isText)
		}
	}
	if len(gone) == 0 {
		return c, nil
	}
	edited, err := c.replace(gone)
	if err == nil {
		edited, err = edited.withoutEmptyLines(name)
	}
	if err == nil {
		err = edited.proves(c, name, slices.DeleteFunc(slices.Clone(ws), isText), nil)
	}
	if err != nil {
		return nil, c.refusal(name, err)
	}
	return edited, nil
}

// lineOf checks what an edit is given and returns the variable's words.
func (c *Config) lineOf(name, text string) ([]word, error) {
	if !syntax.ValidName(name) {
		return nil, fmt.Errorf("edit GRUB's settings: %q is no name of a variable", name)
	}
	if text == "" || strings.Trim(text, plainBytes) != "" {
		return nil, fmt.Errorf("edit GRUB's settings: %q is no plain word", text)
	}
	if c.state.ended != nil {
		return nil, c.refusal(name, nil)
	}
	v := c.state.at(name)
	ws, bad := words(v.value)
	if bad != nil {
		ch := v.value[bad.at]
		return nil, &RefusedError{ch.doc.at(ch.from), name + ": " + bad.why, "correct the value by hand"}
	}
	return ws, nil
}

// plainBytes need no quoting in sh, in GRUB's language and on a kernel's line.
const plainBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.,:=+@/%"

// switchName is what two words must share to contradict each other.
func switchName(word string) string {
	key, _, _ := strings.Cut(word, "=")
	return strings.TrimPrefix(key, "no-")
}

func (c *Config) whereIs(name string, w word) Where {
	ch := c.state.at(name).value[w.from]
	return ch.doc.at(ch.from)
}

// proves checks an edit: the words are those that were wanted, with one that is
// new where there should be one, and nothing else has changed.
func (c *Config) proves(before *Config, name string, want []word, isNew func(word) bool) error {
	if other, ok := othersSame(before.state, c.state, name); !ok {
		if other == "" {
			other = "another variable"
		}
		return fmt.Errorf("the edit would change %s too", other)
	}
	got, bad := words(c.state.at(name).value)
	if bad != nil {
		return errors.New(bad.why)
	}
	if isNew != nil {
		i := slices.IndexFunc(got, isNew)
		if i < 0 {
			return errLost
		}
		got = slices.Delete(got, i, i+1)
	}
	if !slices.EqualFunc(got, want, func(a, b word) bool { return a.text == b.text && a.sure == b.sure }) {
		return errors.New("the value would not be the old words and the change")
	}
	return nil
}

// errLost is an edit whose word may not reach the value; why is in the value.
var errLost = errors.New("the word would not be in the value")

// refusal names what stands in the way.
func (c *Config) refusal(name string, failure error) error {
	advice := "edit the line by hand"
	v := c.state.at(name)
	where := Where{SettingsFile, 1}
	if len(v.assigns) > 0 {
		where = last(v.assigns).where()
	}
	switch {
	case c.state.ended != nil:
		return &RefusedError{c.state.ended.where, c.state.ended.reason, "take it out of the file"}
	case failure != nil && !errors.Is(failure, errLost):
		return &RefusedError{where, failure.Error(), advice}
	}
	for _, ch := range v.value {
		if ch.unknown != nil {
			return &RefusedError{ch.unknown.where, name + " is known only to sh: " + ch.unknown.reason, advice}
		}
	}
	if failure == nil {
		failure = fmt.Errorf("there is no file to put %s in", name)
	}
	return &RefusedError{where, failure.Error(), advice}
}

func last(a []assignment) assignment { return a[len(a)-1] }

func certain(value []char) bool {
	return !slices.ContainsFunc(value, func(c char) bool { return c.unknown != nil })
}
