package opt

import (
	"encoding/json"
	"testing"
)

type page int64

type record struct {
	Count  Value[int64]    `json:"count,omitzero"`
	Always Value[page]     `json:"always"`
	ID     Value[uint16]   `json:"id,omitzero"`
	Rate   Value[float64]  `json:"rate,omitzero"`
	Text   Value[string]   `json:"text,omitzero"`
	List   Value[[]string] `json:"list,omitzero"`
}

func TestJSON(t *testing.T) {
	for want, r := range map[string]record{
		`{"always":null}`: {},
		`{"count":0,"always":-7,"id":65535,"rate":0.25,"text":"a\"b","list":["x"]}`: {
			Of[int64](0), Of(page(-7)), Of[uint16](65535), Of(0.25), Of(`a"b`), Of([]string{"x"}),
		},
	} {
		got, err := json.Marshal(r)
		if err != nil || string(got) != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
		var back record
		if err := json.Unmarshal(got, &back); err != nil {
			t.Errorf("%s: %v", got, err)
		}
		if again, err := json.Marshal(back); err != nil || string(again) != want {
			t.Errorf("read back and written again: %s, %v; want %s", again, err, want)
		}
	}
}

func TestAbsentIsNotZero(t *testing.T) {
	absent, zero := Value[int64]{}, Of[int64](0)
	if absent.Has() || !zero.Has() || absent.Or(5) != 5 || zero.Or(5) != 0 {
		t.Errorf("absent %v, zero %v", absent, zero)
	}
	sum := func(a, b int64) int64 { return a + b }
	if Both(absent, zero, sum).Has() || !Both(zero, zero, sum).Has() || Map(absent, func(n int64) int64 { return n }).Has() {
		t.Error("a value came of an absent one")
	}
}
