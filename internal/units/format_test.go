package units

import "testing"

func TestGroup(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0", 7: "7", -7: "-7", 999: "999", 1000: "1,000", -1000: "-1,000", 1872108: "1,872,108",
		-1 << 63: "-9,223,372,036,854,775,808", 1<<63 - 1: "9,223,372,036,854,775,807", 100000: "100,000",
	} {
		if got := Group(n); got != want {
			t.Errorf("Group(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestConversions(t *testing.T) {
	if Pages(14536).KiB() != 58144 || MiB(2687).KiB() != 2751488 || KiB(7).Pages() != 1 || MiB(1).Bytes() != 1048576 ||
		Pages(1).Bytes() != PageSize || KiB(1).Bytes() != 1024 {
		t.Error("a conversion is wrong")
	}
	if got := Percent(30720.0 / 169568); got != "18.1 %" {
		t.Error(got)
	}
}
