package config

import (
	"fmt"
	"net/netip"
	"strings"

	tollgatev1 "tollgate/proto/tollgate/v1"
)

// IPRules says which addresses may call.
type IPRules struct {
	Allow []netip.Prefix // empty: all
	Deny  []netip.Prefix // wins over Allow
}

// Any tells whether the rules let every address pass.
func (r IPRules) Any() bool { return len(r.Allow) == 0 && len(r.Deny) == 0 }

// Permits tells whether an address may call. An address that cannot be read may not, unless the
// rules let all pass.
func (r IPRules) Permits(address netip.Addr) bool {
	if r.Any() {
		return true
	}
	address = address.Unmap()
	if !address.IsValid() || contains(r.Deny, address) {
		return false
	}
	return len(r.Allow) == 0 || contains(r.Allow, address)
}

func contains(ranges []netip.Prefix, address netip.Addr) bool {
	for _, r := range ranges {
		if r.Contains(address.WithZone("")) {
			return true
		}
	}
	return false
}

func (r *resolver) ipRules(field string, m *tollgatev1.IPRules) IPRules {
	return IPRules{
		Allow: r.ranges(field+".allow", m.GetAllow()),
		Deny:  r.ranges(field+".deny", m.GetDeny()),
	}
}

func (r *resolver) ranges(field string, written []string) []netip.Prefix {
	var ranges []netip.Prefix
	for i, text := range written {
		parsed, err := parseRange(text)
		if err != nil {
			r.problem(fmt.Sprintf("%s[%d]", field, i), "%q is neither an IP address nor a range such as 192.0.2.0/24", text)
		}
		ranges = append(ranges, parsed)
	}
	return ranges
}

func parseRange(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return netip.Prefix{}, fmt.Errorf("parsing an address: %w", err)
		}
		address = address.Unmap().WithZone("")
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	parsed, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("parsing a range: %w", err)
	}
	if parsed.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("parsing a range: %s is an IPv4 address in IPv6 form", parsed.Addr())
	}
	return parsed.Masked(), nil
}
