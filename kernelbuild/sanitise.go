package kernelbuild

import (
	"strings"

	"xtm/kernelbuild/kconfig"
)

// Sanitise lists what must change in a distribution's configuration before
// anyone else can build it: paths of the distribution's keys, its salt, its
// suffix; and debug information, which costs 13 GB and is wanted by few. The
// tree may be nil. exists tells whether a key file is there: keys of the user's
// own stay.
func Sanitise(tree *kconfig.Tree, c *kconfig.Config, keepDebug bool, exists func(string) bool) []kconfig.Request {
	var out []kconfig.Request
	set := func(symbol, value, why string) {
		if tree != nil && tree.Symbols[symbol] == nil {
			return // the configuration is another release's; this one drops the line
		}
		out = append(out, kconfig.Request{Symbol: symbol, Value: value, Why: why})
	}
	for _, key := range []string{"SYSTEM_TRUSTED_KEYS", "SYSTEM_REVOCATION_KEYS"} {
		if path := c.Text(key); path != "" && !exists(path) {
			set(key, `""`, path+" is in the distribution's own tree only")
		}
	}
	const ownKey = "certs/signing_key.pem" // the kernel makes it
	if path := c.Text("MODULE_SIG_KEY"); c.Line("MODULE_SIG_KEY") > 0 && path != ownKey &&
		!strings.HasPrefix(path, "pkcs11:") && (path == "" || !exists(path)) {
		set("MODULE_SIG_KEY", `"`+ownKey+`"`, "the distribution's key is not ours")
	}
	if c.Text("BUILD_SALT") != "" {
		set("BUILD_SALT", `""`, "it names the distribution's release")
	}
	if c.Text("LOCALVERSION") != "" {
		set("LOCALVERSION", `""`, "the suffix is given to make")
	}
	if c.Text("LOCALVERSION_AUTO") == "y" {
		set("LOCALVERSION_AUTO", "n", "it would add a commit to the release")
	}
	if keepDebug || c.Text("DEBUG_INFO") != "y" {
		return out
	}
	// From 5.18 on DEBUG_INFO is the result of a choice: turning it off by
	// itself does nothing.
	choice := c.Line("DEBUG_INFO_NONE") > 0
	if tree != nil {
		choice = tree.Symbols["DEBUG_INFO_NONE"] != nil
	}
	const why = "debug information takes 13 GB and an hour"
	if choice {
		set("DEBUG_INFO_NONE", "y", why)
	} else {
		set("DEBUG_INFO", "n", why)
	}
	return out
}
