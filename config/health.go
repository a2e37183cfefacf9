package config

import (
	"time"

	tollgatev1 "tollgate/proto/tollgate/v1"
)

// The defaults of health checks that the schema names.
const (
	DefaultHealthInterval = 10 * time.Second
	DefaultHealthTimeout  = 5 * time.Second
)

// HealthCheck is how an upstream is asked whether it is well.
type HealthCheck struct {
	Path              string // below the base path
	Interval, Timeout time.Duration
}

func healthCheck(m *tollgatev1.HealthCheck) *HealthCheck {
	if m == nil {
		return nil
	}
	return &HealthCheck{
		Path:     m.GetPath(),
		Interval: duration(m.GetInterval(), DefaultHealthInterval),
		Timeout:  duration(m.GetTimeout(), DefaultHealthTimeout),
	}
}
