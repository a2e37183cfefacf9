package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tollgate/cmd/tollgate/dashboard"
)

const (
	// topEvery is how often the figures are asked for, and lookEvery how often the terminal's size is.
	topEvery, lookEvery = time.Second, 100 * time.Millisecond

	// An answer that is not a terminal's has lines of this width.
	plainWidth = 120
)

func topCommand() *cobra.Command {
	var port adminPort
	var once bool
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch a running tollgate in a terminal: requests, tokens, limits, keys, money",
		Long: `Top shows what the dashboard does: what happens now, and by route, client, model and upstream key since the
start. It asks the admin port once a second. q, or Ctrl-C, ends it.`,
		Example: `  tollgate top
  tollgate top --once | grep alice
  TOLLGATE_ADMIN_TOKEN=... tollgate top --admin 192.0.2.1:8001`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out, isFile := cmd.OutOrStdout().(*os.File)
			if once || !isFile || !term.IsTerminal(int(out.Fd())) {
				return topOnce(cmd.Context(), cmd.OutOrStdout(), &port)
			}
			return watchTop(cmd.Context(), out, &port)
		},
	}
	port.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&once, "once", false, "print the figures once, and end; so it does where the output is no terminal")
	return cmd
}

// figures are what top shows.
type figures struct {
	state  dashboard.State
	points []dashboard.Point
}

func askFigures(ctx context.Context, port *adminPort) (*figures, error) {
	f := &figures{}
	var points dashboard.Points
	if err := errors.Join(port.read(ctx, "/dashboard/api/state", &f.state)); err != nil {
		return nil, err
	}
	if err := port.read(ctx, "/dashboard/api/points", &points); err != nil {
		return nil, err
	}
	f.points = points.Points
	return f, nil
}

func topOnce(ctx context.Context, out io.Writer, port *adminPort) error {
	f, err := askFigures(ctx, port)
	if err != nil {
		return err
	}
	s := screen{width: plainWidth}
	s.draw(f, nil)
	_, err = io.WriteString(out, s.text.String())
	return err //nolint:wrapcheck // the command's own output
}

// watchTop draws until q is pressed, or ctx ends.
func watchTop(ctx context.Context, out *os.File, port *adminPort) error {
	f, err := askFigures(ctx, port)
	if err != nil {
		return err // while the terminal is as it was
	}
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	if stdin := int(os.Stdin.Fd()); term.IsTerminal(stdin) {
		before, err := term.MakeRaw(stdin)
		if err != nil {
			return fmt.Errorf("taking over the terminal: %w", err)
		}
		defer func() { _ = term.Restore(stdin, before) }()
		go awaitQuit(os.Stdin, quit)
	}
	_, _ = io.WriteString(out, "\x1b[?1049h\x1b[?25l") // a screen of its own, without a cursor
	defer func() { _, _ = io.WriteString(out, "\x1b[?25h\x1b[?1049l") }()
	asked := time.NewTicker(topEvery)
	defer asked.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	width, height := 0, 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-asked.C:
			var fresh *figures
			if fresh, err = askFigures(ctx, port); err == nil {
				f = fresh
			}
			width = 0 // drawn anew
		case <-look.C:
		}
		w, h, sizeErr := term.GetSize(int(out.Fd()))
		if sizeErr != nil {
			w, h = plainWidth, 40
		}
		if w == width && h == height || ctx.Err() != nil {
			continue
		}
		width, height = w, h
		s := screen{width: w, height: h, colour: true}
		s.draw(f, err)
		_, _ = io.WriteString(out, s.frame())
	}
}

// awaitQuit ends the command at q, Q, Escape or Ctrl-C: a raw terminal sends no signal.
func awaitQuit(in io.Reader, quit func()) {
	defer quit()
	for pressed := make([]byte, 1); ; {
		if n, err := in.Read(pressed); err != nil || n == 0 {
			return
		}
		switch pressed[0] {
		case 'q', 'Q', 3, 27:
			return
		}
	}
}
