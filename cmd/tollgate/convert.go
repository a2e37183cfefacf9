package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"tollgate/config"
	"tollgate/extproc/chatlog"
)

func convertCommand() *cobra.Command {
	var folder, target string
	cmd := &cobra.Command{
		Use:   "convert",
		Short: "Turn chat logs, ours or OpenAI-Forward's, into one JSON list a route",
		Long: `Convert ties the questions and answers of chat logs, and writes them as a JSON list of {datetime, ip,
model, temperature, messages: [{role: content}], tools, is_function_call, assistant}.

Without flags, each Log/PREFIX/chat becomes Log/chat_PREFIX.json.`,
		Example: `  tollgate convert
  tollgate convert --log-folder Log/openai/chat --target-path chats.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (folder == "") != (target == "") {
				return errors.New("--log-folder and --target-path belong together: name both, or neither")
			}
			if folder != "" {
				return convert(cmd.OutOrStdout(), folder, target)
			}
			folders, _ := filepath.Glob(filepath.Join(config.DefaultLogDir, "*", "chat"))
			if len(folders) == 0 {
				return withHint(fmt.Errorf("there is no %s/*/chat here", config.DefaultLogDir), "start where the folder Log is, or name one by --log-folder and --target-path")
			}
			for _, folder := range folders {
				prefix := filepath.Base(filepath.Dir(folder))
				if err := convert(cmd.OutOrStdout(), folder, filepath.Join(config.DefaultLogDir, "chat_"+prefix+".json")); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&folder, "log-folder", "", "the `folder` with *.log files")
	cmd.Flags().StringVar(&target, "target-path", "", "the JSON `file` to write")
	return cmd
}

// convert writes one folder's chats into a file, for its owner only, and says what came of it.
func convert(say io.Writer, folder, target string) error {
	c, err := chatlog.Convert(folder)
	if err != nil {
		return err //nolint:wrapcheck // it says which folder
	}
	file, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("writing the chats: %w", err)
	}
	if err := errors.Join(c.Write(file), file.Close()); err != nil {
		return fmt.Errorf("writing the chats: %w", err)
	}
	for _, problem := range c.Problems {
		fmt.Fprintln(say, "left out:", problem)
	}
	fmt.Fprintf(say, "%s: %s written to %s; lines without their other half: %d\n", folder, count(len(c.Chats), "chat"), target, c.Unmatched)
	return nil
}
