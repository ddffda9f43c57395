# For the tests of what is written about tests.

# Is there a test "unit/FILE:NAME", or "DIRECTORY/FILE" of a script with WORDS in it?
names_a_test() { # test [words]
	local file=$ROOT/tests/$1.sh words=${2-}
	case $1 in
	*:*) file=$ROOT/tests/${1%%:*}.c words="START_TEST(${1#*:})" ;;
	esac
	[ "$words" ] && grep -qsF -- "$words" "$file"
}
