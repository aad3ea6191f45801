package events

import (
	"fmt"
	"math"
	"time"
)

// maxSafeInteger is the largest whole number that JavaScript holds exactly
// (Number.MAX_SAFE_INTEGER).
const maxSafeInteger = 1<<53 - 1

func notEmpty(field, value string) error {
	if value == "" {
		return fmt.Errorf("%s: is empty", field)
	}
	return nil
}

func safeVersion(v int64) error {
	if v < 0 {
		return fmt.Errorf("version: %d is negative", v)
	}
	if v > maxSafeInteger {
		return fmt.Errorf("version: %d is over %d, the largest whole number that JavaScript holds exactly", v, int64(maxSafeInteger))
	}
	return nil
}

func payable(field string, price float64) error {
	if math.IsNaN(price) || math.IsInf(price, 0) {
		return fmt.Errorf("%s: %v is not a finite number", field, price)
	}
	if price < 0 {
		return fmt.Errorf("%s: %v is negative", field, price)
	}
	return nil
}

func set(field string, t time.Time) error {
	if t.IsZero() {
		return fmt.Errorf("%s: is not set", field)
	}
	return nil
}
