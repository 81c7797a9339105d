package guest

// Parsers, for tests and fuzzing from outside.
var (
	ParseConfig     = parseConfig
	ParseConfigFile = parseConfigFile
	ParseBootLine   = parseBootLine
	ParseMounts     = parseMounts
	ParseMaxPFN     = parseMaxPFN
	FindModuleIn    = findModule
	Unescape        = unescape
	JudgeRises      = judgeRises
)
