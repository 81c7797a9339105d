package cli

import (
	"github.com/urfave/cli/v2"
)

// kernelCommand is the parent of what has to do with kernel packages.
func kernelCommand(env Env) *cli.Command {
	return &cli.Command{
		Name:  "kernel",
		Usage: "build and install the kernel that tmem needs",
		Description: `Linux 3.0 to 5.2 can have tmem, and distributions leave parts of it out. This builds a package
of the running kernel's own source with them in, as another user than root, and installs it
beside the old one.

   xtm kernel check                    would loading a module do?
   xtm kernel plan                     what a build would take, and what stands in its way`,
		Subcommands: []*cli.Command{
			kernelCheckCommand(env), kernelPlanCommand(env), kernelBuildCommand(env),
			kernelInstallCommand(env), kernelConfirmCommand(env), kernelRemoveCommand(env), kernelListCommand(env),
		},
	}
}
