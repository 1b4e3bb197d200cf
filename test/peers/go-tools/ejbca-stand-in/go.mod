// Stands in for a module that the Go module proxy does not serve and that SPIRE's server needs to compile: one upstream authority of many uses it.
module github.com/Keyfactor/ejbca-go-client-sdk

go 1.26.0
