package limit

import "tollgate/config/rate"

// Rate is a number of things per time.
type Rate = rate.Rate

// The bounds of a rate.
const (
	MaxCount  = rate.MaxCount
	MaxWindow = rate.MaxWindow
)
