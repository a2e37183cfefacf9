package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
)

func validateCommand() *cobra.Command {
	var from source
	cmd := &cobra.Command{
		Use:   "validate [FILE]",
		Short: "Check a configuration: what is wrong, where, and what would be right",
		Long: `Validate reads a configuration (FILE, else what run and serve would take) as they do: with the files and
environment variables that it names. It says everything that is wrong, each with its line and what would be right,
and exits with 1; what is allowed but may surprise is a warning. Nothing is started.`,
		Example: `  tollgate validate
  tollgate validate team.yaml && mv team.yaml tollgate.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				from.config = args[0]
			}
			c, err := from.load()
			if err != nil {
				return err
			}
			if _, err := build(c, ""); err != nil {
				return err
			}
			for _, warning := range c.Warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning: "+warning)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is valid: %s, %s, %s\n",
				c.Source, count(len(c.Routes), "route"), count(len(c.Upstreams), "upstream"), count(len(c.Clients), "client"))
			return nil
		},
	}
	from.addFlags(cmd.Flags())
	return cmd
}

// count says how many things there are.
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return strconv.Itoa(n) + " " + thing
}
