# integration_health: build, install and test with PGXS.
#   make PG_CONFIG=...          build against one PostgreSQL
#   make install                install into it
#   make unit                   the pure rules, with cmocka (no server needed)
#   make installcheck           pg_regress, against a running server
#   make installcheck-tap       TAP tests of what is installed, with servers of their own

# Where the sources are: make -f .../Makefile VPATH=... builds in another directory.
top := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
ifneq ($(top),.)
made := $(shell mkdir -p src sql)
endif

EXTENSION = integration_health
MODULE_big = integration_health
# The script of the extension, put together from its parts in the order in which they need each other.
SCRIPT = sql/integration_health--$(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(top)/$(EXTENSION).control).sql
PARTS = $(patsubst %,sql/src/%.sql,header base access catalog health recording monitors syncs reports jobs dump rights)
DATA_built = $(SCRIPT)
# Scripts that update from a released version.
DATA = $(patsubst $(top)/%,%,$(wildcard $(top)/sql/$(EXTENSION)--*--*.sql))
OBJS = $(patsubst $(top)/%.c,%.o,$(sort $(wildcard $(top)/src/*.c)))
PG_CPPFLAGS = -I$(srcdir)/src
PG_CFLAGS = -fvisibility=hidden

# setup goes first and drop_and_create_again last; the others are independent of each other.
REGRESS = setup \
	$(filter-out setup drop_and_create_again,$(sort $(notdir $(basename $(wildcard $(top)/test/sql/*.sql))))) \
	drop_and_create_again
REGRESS_OPTS = --inputdir=$(top)/test --outputdir=. $(if $(filter 14 15,$(MAJORVERSION)),,--expecteddir=$(top))
UNIT_TESTS = test/unit/test_rules test/unit/test_schedule_rules
EXTRA_CLEAN = $(UNIT_TESTS)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(OBJS) $(OBJS:.o=.bc): $(wildcard $(top)/src/*.h)

$(SCRIPT): $(PARTS)
	for part in $^; do cat $$part || exit; echo; done >$@.part
	mv $@.part $@

# The pure rules are linked into the tests as they stand: they need no server, nor its headers.
RULES = $(wildcard $(top)/src/*_rules.c)
$(UNIT_TESTS): %: %.c $(RULES) $(wildcard $(top)/src/*_rules.h)
	$(CC) -std=gnu99 -g -Wall -Wextra -Werror -I$(top)/src $(UNIT_CFLAGS) -o $@ $< $(RULES) -lcmocka

.PHONY: unit
unit: $(UNIT_TESTS)
	set -e; for test in $(UNIT_TESTS); do ./$$test; done

.PHONY: installcheck-tap
installcheck-tap:
	$(top)/test/t/run
