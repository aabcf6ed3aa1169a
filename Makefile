# integration_health: build, install and test with PGXS.
#   make PG_CONFIG=...          build against one PostgreSQL
#   make install                install into it
#   make unit                   the pure rules, with cmocka (no server needed)
#   make installcheck           pg_regress, against a running server
#   make installcheck-tap       TAP tests of what is installed, with servers of their own
#   make check                  everything that CI runs, with servers of its own: scripts/test
#   make lint, make tap, ...    one suite of that: scripts/test lint, ...; CONTRIBUTING.md lists them
#   make trusted                the edition without C: build/trusted/migration.sql; SCHEMA= names the schema of its API,
#                               public unless it is given; tle.sql for pg_tle; and as an extension
#   make install-trusted        install that in place of the C edition
#   make dist                   the zip for PGXN, in build

# Where the sources are: make -f .../Makefile VPATH=... builds in another directory.
top := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
ifneq ($(top),.)
made := $(shell mkdir -p $(patsubst $(top)/%,%,$(wildcard $(top)/src/*)) sql)
endif

EXTENSION = integration_health
MODULE_big = integration_health
# The script of the extension, put together from its parts in the order in which they need each other.
SCRIPT = sql/integration_health--$(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(top)/$(EXTENSION).control).sql
PARTS = $(patsubst %,sql/src/%.sql,header base access catalog health monitors changes passive leases recording syncs runs names \
	warm_ups sync_reports reports jobs dump rights)
DATA_built = $(SCRIPT)
# Scripts that update from a released version.
DATA = $(patsubst $(top)/%,%,$(wildcard $(top)/sql/$(EXTENSION)--*--*.sql))
OBJS = $(patsubst $(top)/%.c,%.o,$(sort $(wildcard $(top)/src/*/*.c)))
PG_CPPFLAGS = -I$(srcdir)/src
PG_CFLAGS = -fvisibility=hidden

# setup goes first and drop_and_create_again last; the others are independent of each other.
REGRESS = setup \
	$(filter-out setup drop_and_create_again,$(sort $(notdir $(basename $(wildcard $(top)/test/sql/*.sql))))) \
	drop_and_create_again
REGRESS_OPTS = --inputdir=$(top)/test --outputdir=. $(if $(filter 14 15,$(MAJORVERSION)),,--expecteddir=$(top))
UNIT_TESTS = test/unit/test_rules test/unit/test_schedule_rules
EXTRA_CLEAN = $(UNIT_TESTS) build

# What scripts/test does; it builds by itself. PGXS, whose own check only says that there is none, is not read for these
# goals. make unit is below, and make trusted makes that edition: scripts/test trusted tests it.
CHECKS = check lint compile fuzz harness regress clock isolation tap rest playground package matrix sanitize coverage
ifneq ($(filter $(CHECKS),$(MAKECMDGOALS)),)
ifneq ($(filter-out $(CHECKS),$(MAKECMDGOALS)),)
$(error these take no other goals: $(CHECKS))
endif
.PHONY: $(CHECKS)
.NOTPARALLEL:
$(CHECKS):
	$(top)/scripts/test $(filter-out check,$@)
# The edition without C is put together without PostgreSQL at hand.
else ifneq ($(MAKECMDGOALS),trusted)
PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)
endif
PERL ?= perl

$(OBJS) $(OBJS:.o=.bc): $(wildcard $(top)/src/*/*.h)

$(SCRIPT): $(PARTS)
	for part in $^; do cat $$part || exit; echo; done >$@.part
	mv $@.part $@

# The trusted edition: the same contract, with the PL/pgSQL engine.
SCHEMA ?= public
TRUSTED = build/trusted
ENGINE = $(wildcard $(top)/sql/engine/*.sql)
ASSEMBLE = $(PERL) $(top)/sql/assemble --engine=$(top)/sql/engine
TRUSTED_SCRIPT = $(TRUSTED)/$(notdir $(SCRIPT))

.PHONY: trusted install-trusted
trusted: $(TRUSTED)/migration.sql $(TRUSTED)/tle.sql $(TRUSTED_SCRIPT) $(TRUSTED)/$(EXTENSION).control

$(TRUSTED)/migration.sql: $(PARTS) $(ENGINE) $(top)/sql/assemble FORCE
	@mkdir -p $(TRUSTED)
	$(ASSEMBLE) --as=migration --schema=$(SCHEMA) $(filter sql/src/% $(top)/sql/src/%,$^) >$@.part
	mv $@.part $@

$(TRUSTED_SCRIPT): $(PARTS) $(ENGINE) $(top)/sql/assemble
	@mkdir -p $(TRUSTED)
	$(ASSEMBLE) --as=extension $(filter sql/src/% $(top)/sql/src/%,$^) >$@.part
	mv $@.part $@

# A trusted language extension is installed by a function call, and has a version of three numbers.
$(TRUSTED)/tle.sql: $(TRUSTED_SCRIPT) $(EXTENSION).control
	{ echo "SELECT pgtle.install_extension('$(EXTENSION)', '$(patsubst sql/$(EXTENSION)--%.sql,%,$(SCRIPT)).0',"; \
	  sed -n "s/^comment = \('.*'\)/  \1,/p" $(lastword $^); echo '$$tle$$'; sed '/^\\echo/d' $<; echo '$$tle$$);'; } >$@

$(TRUSTED)/$(EXTENSION).control: $(EXTENSION).control
	@mkdir -p $(TRUSTED)
	sed -e '/^module_pathname/d' $< >$@
	echo "superuser = false" >>$@

install-trusted: $(TRUSTED_SCRIPT) $(TRUSTED)/$(EXTENSION).control
	$(MKDIR_P) '$(DESTDIR)$(datadir)/extension'
	$(INSTALL_DATA) $^ '$(DESTDIR)$(datadir)/extension/'

# The schema may be another one than the last time.
FORCE:

# The pure rules are linked into the tests as they stand: they need no server, nor its headers.
RULES = $(wildcard $(top)/src/*/*_rules.c)
$(UNIT_TESTS): %: %.c $(RULES) $(wildcard $(top)/src/*/*_rules.h)
	$(CC) -std=gnu99 -g -Wall -Wextra -Werror -I$(top)/src $(UNIT_CFLAGS) -o $@ $< $(RULES) -lcmocka

.PHONY: unit
unit: $(UNIT_TESTS)
	set -e; for test in $(UNIT_TESTS); do ./$$test; done

.PHONY: dist
dist:
	$(top)/scripts/package zip

.PHONY: installcheck-tap
installcheck-tap:
	$(top)/test/t/run
