package limitcheck

// A moving window: what was taken at t counts in [t, t+W). Never more than N in any span.

func (c *counter) leastMoving(call *Call) (sum uint64) {
	for i := range c.entries {
		e := &c.entries[i]
		if e.sure && e.call != call && e.to <= call.Sent && call.Answered-e.from < c.window {
			sum += e.atLeast(call.Sent)
		}
	}
	return sum
}

func (c *counter) mostMoving(call *Call) (sum uint64) {
	for i := range c.entries {
		e := &c.entries[i]
		if e.call != call && e.from <= call.Answered && call.Sent-e.to < c.window {
			sum += e.atMost(call.Sent)
		}
	}
	return sum
}

func (c *counter) crowdedMoving() string {
	for i := range c.entries {
		var sum uint64
		from := c.entries[i].from
		for j := range c.entries {
			if e := &c.entries[j]; e.sure && !e.debt && e.from >= from && e.to < from+c.window {
				sum += e.least
			}
		}
		if crowd := c.crowd(sum, from); crowd != "" {
			return crowd
		}
	}
	return ""
}
