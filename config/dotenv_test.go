package config

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestReadDotenv(t *testing.T) {
	t.Parallel()
	environment := environmentOf(map[string]string{"HOME": "/home/me", "EMPTY": ""})
	for _, test := range []struct {
		name, content string
		want          map[string]string
	}{
		{"plain", "A=1\nB=2", map[string]string{"A": "1", "B": "2"}},
		{"last wins", "A=1\nA=2\n", map[string]string{"A": "2"}},
		{"white space", "  A  =  1  \n\tB=\t2", map[string]string{"A": "1", "B": "2"}},
		{"white space inside", "A=1 2\u00a03\u3000", map[string]string{"A": "1 2\u00a03"}},
		{"export", "export A=1\nexport\tB=2\nexport=3\nexporter=4", map[string]string{"A": "1", "B": "2", "export": "3", "exporter": "4"}},
		{"comments", "# A=1\nB=2 # two\nC=3# three\nD=#4\nE= #5\nF=6\t#", map[string]string{"B": "2", "C": "3# three", "D": "#4", "E": "#5", "F": "6"}},
		{"line ends", "A=1\r\nB=2\rC='a\r\nb'\r\n", map[string]string{"A": "1", "B": "2", "C": "a\nb"}},
		{"byte order mark", "\ufeffA=1", map[string]string{"A": "1"}},
		{"single quotes", `A='1 # 2' # 3` + "\n" + `B='it\'s \\ \n "'`, map[string]string{"A": "1 # 2", "B": `it's \ \n "`}},
		{"double quotes", `A="1 # 2"# 3` + "\n" + `B="a\tb\n\"\\\'\x$"`, map[string]string{"A": "1 # 2", "B": "a\tb\n\"\\'\\x$"}},
		{"quoted line ends", "A='{\n\"/v1\": \"1/s\"\n}'\nB=2", map[string]string{"A": "{\n\"/v1\": \"1/s\"\n}", "B": "2"}},
		{"quoted name", "'A'=1\nexport 'B B' = 2", map[string]string{"A": "1", "B B": "2"}},
		{"quote after a backslash at the end", `A='a\'`, map[string]string{"A": `a\`}},
		{"no value", "A\nB=\nC=''\nexport D", map[string]string{"B": "", "C": ""}},
		{"JSON", `A={"/v1/chat":"60/minute;600/hour", "b": 1}`, map[string]string{"A": `{"/v1/chat":"60/minute;600/hour", "b": 1}`}},
		{"references", "A=1\nB=${A}${HOME}${NO}${NO:-x y}\nC='${A}'\nD=\"${A:-2}\"\nE=${EMPTY:-3}", map[string]string{"A": "1", "B": "1/home/mex y", "C": "1", "D": "1", "E": ""}},
		{"the environment wins in references", "HOME=here\nA=${HOME}", map[string]string{"HOME": "here", "A": "/home/me"}},
		{"references to what comes later", "A=${B}\nB=1", map[string]string{"A": "", "B": "1"}},
		{"dollars without braces", "A=sk-$HOME-$$-$", map[string]string{"A": "sk-$HOME-$$-$"}},
		{"no reference", "A=${B", map[string]string{"A": "${B"}},
		{"broken lines", "A=1\nwhat is this\n=2\nB='3\nC=\"4\" 5\nD=6", map[string]string{"A": "1", "D": "6"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			variables, _ := readDotenv(test.content, environment)
			if diff := cmp.Diff(test.want, values(variables)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// values are the variables that are set.
func values(variables map[string]binding) map[string]string {
	set := map[string]string{}
	for name, b := range variables {
		if b.set {
			set[name] = b.value
		}
	}
	return set
}

func TestDotenvLines(t *testing.T) {
	t.Parallel()
	bindings, broken := parseDotenv("# one\n\nA=1\r\nB='\n\n'\rC D\n=\nE=1\n")
	got := map[string]int{}
	for _, b := range append(bindings, broken...) {
		got[b.name] = b.line
	}
	if diff := cmp.Diff(map[string]int{"A": 3, "B": 4, "C": 7, "": 8, "E": 9}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// FuzzDotenv: whatever a file holds, it is read to its end; and what is written in quotes is read
// as it was.
func FuzzDotenv(f *testing.F) {
	for _, seed := range []string{"A=1", "export A='b\\'c' # d\n", "A=\"${B:-c}\"\r\n", "'a'=\"\\t", "\ufeff=\x00#\n\v=", "A"} {
		f.Add(seed)
	}
	nothing := environmentOf(nil)
	f.Fuzz(func(t *testing.T, text string) {
		bindings, broken := parseDotenv(text)
		last := 0
		for _, b := range bindings {
			if b.name == "" || b.line <= last || b.value != "" && !b.set {
				t.Errorf("line %d after %d: %+v", b.line, last, b)
			}
			last = b.line
		}
		if len(bindings)+len(broken) > 1+strings.Count(text, "\n")+strings.Count(text, "\r") {
			t.Error("more bindings than lines")
		}
		if !utf8.ValidString(text) || strings.Contains(text, "\r") {
			return
		}
		single := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text)
		double := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text)
		for _, quoted := range []string{"'" + single + "'", `"` + double + `"`} {
			again, broken := parseDotenv("A=" + quoted)
			if len(broken) > 0 || len(again) != 1 || again[0].value != text {
				t.Errorf("%s is read as %+v", quoted, again)
			}
		}
		if variables, _ := readDotenv("A='"+single+"'", nothing); !strings.Contains(text, "${") && variables["A"].value != text {
			t.Errorf("%q is expanded to %q", text, variables["A"].value)
		}
	})
}
