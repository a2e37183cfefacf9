package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSystemd: systemd understands every line of the unit, and finds that little is left for it to do harm with.
func TestSystemd(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("skipped: there is no systemd-analyze here (Debian's package systemd has it)")
	}
	text, err := os.ReadFile(filepath.Join(deployDir, "systemd", "tollgate.service"))
	if err != nil {
		t.Fatal(err)
	}
	const installed = "/usr/local/bin/tollgate"
	if !strings.Contains(string(text), "ExecStart="+installed) {
		t.Fatalf("the unit does not start %s", installed)
	}
	unit := filepath.Join(t.TempDir(), "tollgate.service")
	if err := os.WriteFile(unit, []byte(strings.ReplaceAll(string(text), installed, program(t))), 0o600); err != nil {
		t.Fatal(err)
	}
	said, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", unit).CombinedOutput()
	if err != nil || strings.Contains(string(said), "tollgate.service") {
		t.Errorf("systemd does not take it: %v: %s", err, said)
	}
	const exposure = "20" // of 100: what has no sandbox at all is at 96
	if said, err := exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "--threshold="+exposure, unit).CombinedOutput(); err != nil {
		t.Errorf("it may do too much: %v:\n%s", err, said)
	}
}
