// Package time stands in for the standard one: the clock shows what a case says.
package time

import "time"

// Now is the second since 1970 that it is.
var Now int64

const Second = time.Second

func Since(then time.Time) time.Duration { return time.Unix(Now, 0).Sub(then) }

func Unix(seconds, nanos int64) time.Time { return time.Unix(seconds, nanos) }

func UnixMilli(millis int64) time.Time { return time.UnixMilli(millis) }
