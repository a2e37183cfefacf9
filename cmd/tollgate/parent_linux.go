package main

import (
	"runtime"
	"syscall"
)

// dieWithParent has the kernel end a child when this process dies, however it dies. A process group
// of its own keeps a terminal's Ctrl-C from it: this process stops its children in order.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// lockThread keeps the calling goroutine's thread for as long as it runs: Pdeathsig is sent when
// the thread that started the child ends, not the process.
func lockThread() { runtime.LockOSThread() }
