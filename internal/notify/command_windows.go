package notify

import (
	"context"
	"os/exec"
	"syscall"
)

// killAll leaves to Windows what it does: only the command itself is killed.
func killAll(*exec.Cmd) {}

// shell runs a line as cmd.exe reads it, which takes no arguments but the rest
// of its command line.
func shell(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "cmd.exe")
	cmd.SysProcAttr = &syscall.SysProcAttr{CmdLine: `cmd.exe /s /c "` + line + `"`}
	return cmd
}
