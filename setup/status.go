package setup

import (
	"xtm/internal/finding"
	"xtm/internal/role"
)

// StatusSchema is the version of Status's JSON form. It rises when a field
// changes its meaning or goes.
const StatusSchema = 1

// Status is the chain of what tmem needs on one machine, link by link.
type Status struct {
	Schema int       `json:"schema"`
	Role   role.Role `json:"role"`
	// Seen is what the role was told by.
	Seen string `json:"seen"`
	// Impossible tells that this machine cannot have tmem as it is.
	Impossible bool `json:"impossible"`
	// Findings are the links, in the order in which each needs the ones before.
	Findings []finding.Finding `json:"findings"`
	// Ways are what works here instead, where Impossible.
	Ways []string `json:"ways,omitempty"`
}

// add puts a link at the end of the chain.
func (s *Status) add(check, subject string, v finding.Verdict, seen, advice string, commands ...string) {
	s.Findings = append(s.Findings, finding.Finding{
		Check: check, Subject: subject, Verdict: v, Seen: seen, Advice: advice, Commands: commands,
	})
}
