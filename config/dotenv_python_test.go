package config

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// TestDotenvAsPython reads thousands of files as we do and as the real python-dotenv does.
func TestDotenvAsPython(t *testing.T) {
	t.Parallel()
	environment := map[string]string{"E": "from the environment", "EMPTY": "", "A": "over the file's"}
	random := rand.New(rand.NewPCG(1, 2)) // the same files in every run
	files := make([][]byte, 5000)
	for i := range files {
		files[i] = randomDotenv(random)
	}
	input, err := json.Marshal(map[string]any{"environment": environment, "files": files})
	if err != nil {
		t.Fatal(err)
	}
	var want []map[string]string
	if err := json.Unmarshal(python(t, input), &want); err != nil {
		t.Fatal(err)
	}
	if len(want) != len(files) {
		t.Fatalf("python-dotenv read %d files of %d", len(want), len(files))
	}
	for i, file := range files {
		variables, _ := readDotenv(string(file), environmentOf(environment))
		if diff := gocmp.Diff(want[i], values(variables)); diff != "" {
			t.Fatalf("%q: -python +ours:\n%s", file, diff)
		}
	}
}

// randomDotenv strings together what the grammar gives a meaning to.
func randomDotenv(random *rand.Rand) []byte {
	pieces := strings.Split(`A B E a1 = = = ' ' " " \ \' \" \\ \n \t \x # # ${ } ${A} ${B:-c} ${E} ${EMPTY:-d} ${N:-} : $ export , { [ é 键`, " ")
	pieces = append(pieces, " ", " ", "  ", "\t", "\n", "\n", "\n", "\r\n", "\r", "\v", "\f", "\x1c", "\x1f", "\u0085", "\u00a0", "\u2028", "\u3000",
		"export ", "\nexport A=", "\nB='", "\nB=\"", "\nA=", "'\n", "\"\n", "\x00", "\u200b")
	var file strings.Builder
	for range 1 + random.IntN(24) {
		file.WriteString(pieces[random.IntN(len(pieces))])
	}
	return []byte(file.String())
}

// python runs testdata/read_dotenv.py with the interpreter that has python-dotenv.
func python(t *testing.T, input []byte) []byte {
	t.Helper()
	program := cmp.Or(os.Getenv("TOLLGATE_PYTHON"), "../.tools/venv/bin/python3")
	if err := exec.CommandContext(t.Context(), program, "-c", "import dotenv").Run(); err != nil {
		t.Fatalf("%s has no python-dotenv (%v). Get it with `make test-tools`.", program, err)
	}
	command := exec.CommandContext(t.Context(), program, "testdata/read_dotenv.py")
	var complaints bytes.Buffer
	command.Stdin, command.Stderr = bytes.NewReader(input), &complaints
	output, err := command.Output()
	if err != nil {
		t.Fatalf("python-dotenv: %v\n%s", err, complaints.String())
	}
	return output
}
