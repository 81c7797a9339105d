package units

import "strconv"

// Group writes a whole number with a comma between thousands: 1,872,108.
func Group[T ~int | ~int64](n T) string {
	digits := strconv.FormatInt(int64(n), 10)
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	head := len(digits) % 3
	out := digits[:head]
	for i := head; i < len(digits); i += 3 {
		if out != "" {
			out += ","
		}
		out += digits[i : i+3]
	}
	return sign + out
}

// Percent writes a share with one decimal: 18.1 %.
func Percent(share float64) string { return strconv.FormatFloat(share*100, 'f', 1, 64) + " %" }
