//go:build !linux

package main

import "syscall"

// dieWithParent keeps a terminal's Ctrl-C from a child: this process stops its children in order.
// Where the kernel cannot end a child with its parent, a parent ended by SIGKILL leaves them.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func lockThread() {}
