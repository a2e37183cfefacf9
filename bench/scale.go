package main

import "fmt"

// scales are Tollgate with keys, and with more and more routes and clients, which all have their turns.
func scales() []*target {
	first := scaled(1, 1)
	list := []*target{first, scaled(100, 1), scaled(1000, 1), scaled(10_000, 1), scaled(1, 1000), scaled(1, 100_000)}
	for _, t := range list[1:] {
		t.beside = first.name
	}
	return list
}

func scaled(routes, clients int64) *target {
	t := row("", "", fmt.Sprintf("keys; routes: %d, clients: %d", routes, clients), many(routes, clients)).among(routes, clients)
	t.name, t.floor = fmt.Sprintf("scale/routes-%d-clients-%d", routes, clients), ""
	return t
}
