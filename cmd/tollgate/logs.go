package main

import (
	"github.com/spf13/cobra"

	"tollgate/config"
	"tollgate/extproc/chatlog"
)

func logsCommand() *cobra.Command {
	var view chatlog.View
	var once bool
	cmd := &cobra.Command{
		Use:   "logs",
		Short: "Follow the chat log, for people",
		Long: `Logs shows the chats of a chat_log as they are written: who asked what, and what was answered. It reads the
files, so it needs no running tollgate; the dashboard shows the same where admin.recent_chats is set.`,
		Example: `  tollgate logs
  tollgate logs --client alice --model gpt-4o -n 50
  tollgate logs --no-follow -n -1 > all.txt`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			view.Stay = !once
			return view.Follow(cmd.Context(), cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&view.Dir, "dir", config.DefaultLogDir, "the chat log's `folder`")
	cmd.Flags().IntVarP(&view.Last, "lines", "n", 10, "how many `lines` of each file to begin with; -1: all")
	cmd.Flags().BoolVar(&once, "no-follow", false, "show what is there, and end")
	cmd.Flags().StringVar(&view.Client, "client", "", "only this `client`'s")
	cmd.Flags().StringVar(&view.Model, "model", "", "only this `model`'s")
	return cmd
}
