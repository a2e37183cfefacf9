package xds

import (
	"slices"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"tollgate/config"
)

const (
	// firstBackOff is the wait before the second attempt; it doubles up to longestBackOff. Of each wait
	// Envoy takes a random part.
	firstBackOff   = 200 * time.Millisecond
	longestBackOff = 2 * time.Second

	// longestRetryAfter bounds the retry-after that is waited for while the client waits as well. Past it
	// the usual wait counts.
	longestRetryAfter = 10 * time.Second

	// Attempts after the first, of all that an upstream answers: what keeps a flood of retries from an
	// upstream that is down. Envoy's default would allow three at once.
	retryShare  = 50  // percent of the requests that are under way
	retryAlways = 100 // at once, whatever is under way
)

// retryPolicy tries requests again whose upstream fails before its answer has begun: that it never does so
// later is Envoy's promise. What a client says in x-envoy-* headers is gone by then: see noSteering. Where
// the next attempt can go with another key, it comes when this one is turned down, too.
func retryPolicy(r *config.Retry, l *lead) *routev3.RetryPolicy {
	policy := &routev3.RetryPolicy{}
	if r.FirstByteTimeout > 0 {
		policy.PerTryTimeout = durationpb.New(r.FirstByteTimeout) // which ends with the answer's headers
	}
	if r.IdleTimeout > 0 {
		policy.PerTryIdleTimeout = durationpb.New(r.IdleTimeout)
	}
	if r.Attempts == 1 {
		return policy
	}
	policy.RetryOn = "reset,retriable-status-codes" // reset: connections that failed, too
	policy.RetriableStatusCodes = r.Statuses
	policy.NumRetries = wrapperspb.UInt32(uint32(r.Attempts - 1)) //nolint:gosec // the schema bounds it
	policy.RetryBackOff = &routev3.RetryPolicy_RetryBackOff{
		BaseInterval: durationpb.New(firstBackOff),
		MaxInterval:  durationpb.New(longestBackOff),
	}
	var wait []*routev3.RetryPolicy_ResetHeader // in seconds
	if l.attempts {
		policy.RetriableStatusCodes = append(slices.Clone(r.Statuses), 401, 403)
		if r.RateLimited {
			policy.RetriableStatusCodes = append(policy.RetriableStatusCodes, 429)
		}
		// Another key need not wait until the first may come again: see hurries.
		wait = append(wait, &routev3.RetryPolicy_ResetHeader{Name: config.WaitHeader})
	}
	policy.RateLimitedRetryBackOff = &routev3.RetryPolicy_RateLimitedRetryBackOff{
		ResetHeaders: append(wait, &routev3.RetryPolicy_ResetHeader{Name: "retry-after"}),
		MaxInterval:  durationpb.New(longestRetryAfter),
	}
	if l.several() {
		policy.RetryPriority = nextUpstream()
	}
	return policy
}

// retryBudget bounds the retries of a cluster.
func retryBudget() *clusterv3.CircuitBreakers_Thresholds_RetryBudget {
	return &clusterv3.CircuitBreakers_Thresholds_RetryBudget{
		BudgetPercent:       &typev3.Percent{Value: retryShare},
		MinRetryConcurrency: wrapperspb.UInt32(retryAlways),
	}
}
