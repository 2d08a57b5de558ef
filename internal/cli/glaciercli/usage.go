package glaciercli

import (
	"fmt"
	"strings"
)

// columns is how wide argparse makes lines where nothing says how wide the terminal
// is: two less than 80.
const columns = 78

// usage is how a command is called, as argparse breaks it into lines.
func (p *parser) usage() string {
	var options, words []string
	for _, o := range p.options {
		text := o.long
		if o.short != "" {
			text = o.short
		}
		if o.value != "" {
			text += " " + o.value
		}
		options = append(options, "["+text+"]")
	}
	for _, w := range p.words {
		name, many := strings.CutSuffix(w, "+")
		words = append(words, name)
		if many {
			words = append(words, "["+name+" ...]")
		}
	}
	if p.subs != nil {
		words = append(words, p.choices(), "...")
	}
	const prefix = "usage: "
	whole := prefix + strings.Join(append(append([]string{p.prog}, options...), words...), " ")
	if len(whole) <= columns {
		return whole + "\n"
	}
	indent := strings.Repeat(" ", len(prefix)+len(p.prog)+1)
	lines := broken(prefix, append([]string{p.prog}, options...), indent)
	lines = append(lines, broken(indent, words, indent)...)
	return strings.Join(lines, "\n") + "\n"
}

// broken joins parts into lines that begin with indent, the first with another text.
func broken(first string, parts []string, indent string) (lines []string) {
	if len(parts) == 0 {
		return nil
	}
	line, length := "", len(indent)-1
	if first != indent {
		length = len(first) - 1
	}
	for _, part := range parts {
		if length+1+len(part) > columns && line != "" {
			lines = append(lines, indent+line)
			line, length = "", len(indent)-1
		}
		if line != "" {
			line += " "
		}
		line += part
		length += len(part) + 1
	}
	lines = append(lines, indent+line)
	lines[0] = first + lines[0][len(indent):]
	return lines
}

// help is what -h shows.
func (p *parser) help() string {
	var b strings.Builder
	b.WriteString(p.usage())
	var words []string
	for _, w := range p.words {
		words = append(words, strings.TrimSuffix(w, "+"))
	}
	if p.subs != nil {
		words = append(words, p.choices())
	}
	if len(words) > 0 {
		b.WriteString("\npositional arguments:\n  " + strings.Join(words, "\n  ") + "\n")
	}
	b.WriteString("\noptions:\n")
	var heads []string
	widest := 0
	for _, o := range p.options {
		var names []string
		for _, name := range []string{o.short, o.long} {
			if name == "" {
				continue
			}
			if o.value != "" {
				name += " " + o.value
			}
			names = append(names, name)
		}
		head := strings.Join(names, ", ")
		heads, widest = append(heads, head), max(widest, len(head))
	}
	for _, w := range words {
		widest = max(widest, len(w))
	}
	const indent, furthest = 2, 24
	at := min(indent+widest+2, furthest)
	for i, o := range p.options {
		if o.help == "" {
			fmt.Fprintf(&b, "  %s\n", heads[i])
			continue
		}
		fmt.Fprintf(&b, "  %-*s  %s\n", at-indent-2, heads[i], o.help)
	}
	return b.String()
}
