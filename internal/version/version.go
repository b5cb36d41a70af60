// Package version knows which goike this is.
package version

// Version is the version of the build. The linker stamps it (make build); a
// build without the Makefile calls itself "devel".
var Version = "devel"
