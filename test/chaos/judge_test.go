package chaos

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/test/mock"
)

// sound is a history of a run in which nothing was amiss, of the calls whose upstreams do not fail.
func sound() *History {
	h := &History{Plan: NewPlan(1, 60*time.Second, 10), Arrivals: map[string][]*Arrival{}}
	seen := map[string]bool{}
	for _, c := range h.Plan.Calls {
		kind := c.Route + c.Kind + c.Client
		if c.Query != nil || len(c.Faults) > 0 || c.Behaviour == Leaving || c.Behaviour == Torn || c.Events > 50 || c.Events < 6 || seen[kind] {
			continue
		}
		seen[kind] = true
		o := &Outcome{Call: c, Sent: c.At, Answered: c.At + time.Millisecond, Ended: c.At + 2*time.Millisecond, Header: http.Header{}}
		o.Status, o.Body = http.StatusOK, c.Sent()
		if c.Behaviour == Stranger {
			fails(o, http.StatusUnauthorized, "invalid_api_key")
		} else {
			h.Arrivals[c.Name] = []*Arrival{{Upstream: "a", At: c.At, Whole: true}}
		}
		h.Outcomes = append(h.Outcomes, o)
	}
	return h
}

// copied is a history that can be changed.
func (h *History) copied() *History {
	c := &History{Plan: h.Plan, Arrivals: map[string][]*Arrival{}}
	for _, o := range h.Outcomes {
		call, outcome := *o.Call, *o
		outcome.Call, outcome.Header = &call, o.Header.Clone()
		c.Outcomes = append(c.Outcomes, &outcome)
	}
	for name, list := range h.Arrivals {
		arrival := *list[0]
		c.Arrivals[name] = []*Arrival{&arrival}
	}
	return c
}

func fails(o *Outcome, status int, code string) {
	o.Status, o.Body = status, `{"error":{"message":"no","type":"server_error","param":null,"code":"`+code+`"}}`
	o.Header.Set("content-type", "application/json")
}

// some finds a call of a kind by a route.
func (h *History) some(route, kind, client string, but *Outcome) *Outcome {
	at := slices.IndexFunc(h.Outcomes, func(o *Outcome) bool {
		return o != but && o.Route == route && o.Kind == kind && o.Behaviour == Patient && o.Events > 5 && o.Events < 50 && (client == "" || o.Client == client)
	})
	return h.Outcomes[at]
}

// gets has a call get an answer of the cache: that of another, which asked the same.
func (h *History) gets(o, of *Outcome, body string) {
	o.Prompt, o.Model, o.Size, o.Body = of.Prompt, of.Model, of.Size, body
	o.Header.Set("cache-status", "tollgate; hit; ttl=10")
	delete(h.Arrivals, o.Name)
}

func during(kind, upstream string, o *Outcome) Trouble {
	return Trouble{Event: &Event{Kind: kind, Upstream: upstream}, From: o.Sent - time.Millisecond, To: o.Sent}
}

// TestJudgeIsSound: what a gateway may do is not found fault with.
func TestJudgeIsSound(t *testing.T) {
	t.Parallel()
	all := sound()
	for name, happens := range map[string]func(*History){
		"nothing": func(*History) {},
		"it is cut while Envoy dies": func(h *History) {
			o := h.some("/one", Stream, "", nil)
			o.Body, o.Err = o.Body[:len(o.Body)/2], "unexpected EOF"
			h.Troubles = append(h.Troubles, during(EnvoyKilled, "", o))
		},
		"it fails while its upstream is down": func(h *History) {
			o := h.some("/one", Chat, "", nil)
			fails(o, 503, "upstream_unreachable")
			h.Troubles = append(h.Troubles, during(UpstreamDown, "a", o))
		},
		"a kept answer is shared": func(h *History) {
			of := h.some("/shared", Stream, "", nil)
			h.gets(h.some("/shared", Stream, "", of), of, of.Body)
		},
		"a kept answer gets another form": func(h *History) {
			of := h.some("/shared", Stream, "", nil)
			text, _ := saidText(of.Body)
			h.gets(h.some("/shared", Chat, "", nil), of, `{"choices":[{"message":{"content":"`+text+`"},"finish_reason":"stop"}]}`)
		},
		"the upstream sends noise": func(h *History) {
			o := h.some("/one", Stream, "", nil)
			o.Body = o.Body[:100] + mock.Noise + o.Body[100:]
			h.Arrivals[o.Name][0].Fault = "mock-garble: noise"
		},
		"the upstream sends half": func(h *History) {
			o := h.some("/one", Stream, "", nil)
			o.Body = o.Body[:len(o.Body)/2]
			h.Arrivals[o.Name][0].Fault = "mock-garble: half"
		},
		"it is sent again after a reset": func(h *History) {
			o := h.some("/one", Stream, "", nil)
			h.Arrivals[o.Name] = append([]*Arrival{{Upstream: "a", Fault: "mock-break: reset"}}, h.Arrivals[o.Name]...)
		},
	} {
		h := all.copied()
		happens(h)
		for _, problem := range h.Judge() {
			t.Errorf("%s: %s", name, problem)
		}
	}
}

// TestJudgeIsSensitive: each promise that is broken is found, once and by the right name.
func TestJudgeIsSensitive(t *testing.T) {
	t.Parallel()
	all := sound()
	for want, breaks := range map[string]func(*History){
		"it ends in good order, and is not all": func(h *History) {
			o := h.some("/one", Stream, "", nil)
			o.Body = strings.TrimSuffix(o.Body, "data: [DONE]\n\n")
		},
		"and is not all: 100 of": func(h *History) {
			o := h.some("/exact", Chat, "", nil)
			o.Body = o.Body[:100]
		},
		"it is not what the upstream sent": func(h *History) {
			o := h.some("/weight", Stream, "", nil)
			events := strings.SplitAfter(o.Body, "\n\n")
			o.Body = strings.Join(slices.Delete(events, 3, 4), "")
		},
		"is not what the upstream sent: ": func(h *History) {
			o := h.some("/pace", Stream, "", nil)
			o.Body = strings.Replace(o.Body, "\n\n", "\n\n"+mock.Noise+mock.Noise, 1)
		},
		"it is the answer of": func(h *History) {
			h.some("/one", Stream, "", nil).Body = h.some("/keys", Stream, "", nil).Body
		},
		"is the answer of": func(h *History) {
			of := h.some("/private", Stream, "alice", nil)
			h.gets(h.some("/private", Stream, "bob", nil), of, of.Body)
		},
		"a broken answer was kept": func(h *History) {
			of := h.some("/shared", Stream, "", nil)
			h.Arrivals[of.Name][0].Fault = "mock-garble: half"
			h.gets(h.some("/shared", Stream, "", of), of, of.Body)
		},
		"the text is": func(h *History) {
			of := h.some("/shared", Stream, "", nil)
			h.gets(h.some("/shared", Chat, "", nil), of, `{"choices":[{"message":{"content":"`+of.Name+`"},"finish_reason":"stop"}]}`)
		},
		"nobody asked for this answer": func(h *History) {
			h.some("/one", Stream, "", nil).Body = strings.ReplaceAll(h.some("/one", Stream, "", nil).Body, "call-00", "call-99")
		},
		"it is no error in OpenAI's shape": func(h *History) {
			o := h.some("/one", Chat, "", nil)
			o.Status, o.Body = 503, "upstream connect error"
			h.Troubles = append(h.Troubles, during(EnvoyKilled, "", o))
		},
		"the error has the content type": func(h *History) {
			o := h.some("/one", Chat, "", nil)
			fails(o, 503, "overloaded")
			o.Header.Set("content-type", "text/plain")
			h.Troubles = append(h.Troubles, during(EnvoyKilled, "", o))
		},
		"nothing in this run can lead to that": func(h *History) {
			o := h.some("/one", Chat, "", nil)
			fails(o, 403, "gate_without_verdict")
			h.Troubles = append(h.Troubles, during(ServeKilled, "", o))
		},
		"a key that nobody has opened the door": func(h *History) {
			at := slices.IndexFunc(h.Outcomes, func(o *Outcome) bool { return o.Behaviour == Stranger })
			h.Outcomes[at].Status, h.Outcomes[at].Body = 200, h.Outcomes[at].Call.Sent()
		},
		"nothing was in its way, and it failed": func(h *History) {
			o := h.some("/one", Chat, "", nil)
			fails(o, 503, "upstream_unreachable")
			h.Troubles = append(h.Troubles, during(UpstreamDown, "c", o), during(Edited, "", o), during(RedisKilled, "", o))
		},
		"in its way, and it failed": func(h *History) {
			o := h.some("/order", Chat, "", nil) // there is another upstream
			fails(o, 503, "upstream_unreachable")
			h.Troubles = append(h.Troubles, during(UpstreamDown, "a", o))
			h.Arrivals[o.Name] = nil
		},
		"it was sent 2 times": func(h *History) {
			o := h.some("/one", Chat, "", nil)
			h.Arrivals[o.Name] = append(h.Arrivals[o.Name], &Arrival{Upstream: "a", Whole: true})
		},
		"it hangs": func(h *History) { h.some("/one", Chat, "", nil).Hung = true },
	} {
		h := all.copied()
		breaks(h)
		problems := h.Judge()
		if len(problems) != 1 || !strings.Contains(problems[0], want) {
			t.Errorf("want %q, found %q", want, problems)
		}
	}
}

// TestJudgeOfLimits: more than a limit admits is found, but where counts were lost in between.
func TestJudgeOfLimits(t *testing.T) {
	t.Parallel()
	h := &History{Plan: NewPlan(0, 20*time.Second, 100), Arrivals: map[string][]*Arrival{}, Prompts: map[string]uint64{}}
	var last time.Duration
	for _, c := range h.Plan.Calls {
		if c.Query == nil || c.Query.Chat {
			continue
		}
		last = c.At
		o := &Outcome{Call: c, Sent: c.At, Answered: c.At + time.Millisecond, Ended: c.At + time.Millisecond, Status: 200, Body: c.Sent(), Header: http.Header{}}
		h.Outcomes = append(h.Outcomes, o)
		h.Arrivals[c.Name] = []*Arrival{{Upstream: "up", Whole: true}}
	}
	const over = "over-admission"
	if problems := h.limits(); !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, over) }) {
		t.Errorf("%d calls were all admitted, and that is found: %q", len(h.Outcomes), problems)
	}
	h.Troubles = []Trouble{{Event: &Event{Kind: ServeKilled}, From: 0, To: last}} // counts in memory are lost
	if problems := h.limits(); len(problems) > 0 {
		t.Errorf("nobody knows what was counted, and this is found: %q", problems)
	}
}
