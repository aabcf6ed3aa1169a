# integration_health: build, install and test with PGXS.
#   make PG_CONFIG=...          build against one PostgreSQL
#   make install                install into it
#   make unit                   the pure rules, with cmocka (no server needed)
#   make installcheck           pg_regress, against a running server
#   make installcheck-tap       TAP tests of what is installed, with servers of their own
#   make check                  everything that CI runs, with servers of its own: scripts/test
#   make lint, make tap, ...    one suite of that: scripts/test lint, ...; CONTRIBUTING.md lists them
#   make trusted                the trusted edition, in build/trusted: migration.sql for the API in schema SCHEMA
#                               (default public), tle.sql for pg_tle, and an extension; and what updates the last release
#   make install-trusted        install that extension in place of the C edition
#   make release                keep the scripts of this version in sql/, as released
#   make dist                   the zip for PGXN, in build

# The directory of the sources: make -f .../Makefile VPATH=... builds in another directory.
top := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
ifneq ($(top),.)
made := $(shell mkdir -p $(patsubst $(top)/%,%,$(wildcard $(top)/src/*)) sql)
endif

EXTENSION = integration_health
MODULE_big = integration_health
EXTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(top)/$(EXTENSION).control)
# The scripts of released versions, and those that update one to the next.
DATA := $(filter-out %--$(EXTVERSION).sql,$(patsubst $(top)/%,%,$(wildcard $(top)/sql/$(EXTENSION)*--*.sql)))
LAST := $(shell printf '%s\n' $(DATA) | sed -n 's/.*--\([0-9.]*\)\.sql$$/\1/p' | sort -V | tail -n 1)
DATA += sql/citus/$(EXTENSION)_citus.control
# The script of this version, and the one that updates the last release to it, assembled from the parts of the contract in
# the order of their dependencies.
SCRIPT = sql/$(EXTENSION)--$(EXTVERSION).sql
UPDATE = $(LAST:%=sql/$(EXTENSION)--%--$(EXTVERSION).sql)
PARTS = $(patsubst %,sql/src/%.sql,header base partitions access samples catalog health transitions days maintenance alerts incidents monitors changes passive \
	leases recording syncs runs names warm_ups sync_reports reports uptime overview watch jobs metrics dump rights)
# The extension for Citus is SQL alone: the C that it needs is in the library.
CITUS_SCRIPT = sql/$(EXTENSION)_citus--$(EXTVERSION).sql
CITUS_PARTS = $(patsubst %,sql/citus/%.sql,header tables shards replace organisation shares everywhere search recording samples modes claims types copies distribute rights)
DATA_built = $(SCRIPT) $(UPDATE) $(CITUS_SCRIPT)
OBJS = $(patsubst $(top)/%.c,%.o,$(sort $(wildcard $(top)/src/*/*.c)))
PG_CPPFLAGS = -I$(srcdir)/src
PG_CFLAGS = -fvisibility=hidden

# setup goes first and drop_and_create_again last; the others are independent of each other.
REGRESS = setup \
	$(filter-out setup drop_and_create_again,$(sort $(notdir $(basename $(wildcard $(top)/test/sql/*.sql))))) \
	drop_and_create_again
REGRESS_OPTS = --inputdir=$(top)/test --outputdir=. $(if $(filter 15,$(MAJORVERSION)),,--expecteddir=$(top))
UNIT_TESTS = test/unit/test_rules test/unit/test_schedule_rules test/unit/test_shard_rules
EXTRA_CLEAN = $(UNIT_TESTS) build

# The goals of scripts/test, which does its own builds. PGXS is not included for these, since its own goal check only
# says that there is none. make unit is defined below; make trusted makes the trusted edition, and scripts/test trusted
# tests it.
CHECKS = check lint compile fuzz harness regress update clock isolation tap partitions rest playground package citus matrix sanitize coverage
ifneq ($(filter $(CHECKS),$(MAKECMDGOALS)),)
ifneq ($(filter-out $(CHECKS),$(MAKECMDGOALS)),)
$(error these take no other goals: $(CHECKS))
endif
.PHONY: $(CHECKS)
.NOTPARALLEL:
$(CHECKS):
	$(top)/scripts/test $(filter-out check,$@)
# These work without PostgreSQL.
else ifeq ($(filter trusted release,$(MAKECMDGOALS)),)
PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)
endif
PERL ?= perl

$(OBJS) $(OBJS:.o=.bc): $(wildcard $(top)/src/*/*.h)

ASSEMBLE = $(PERL) $(top)/sql/assemble --version=$(EXTVERSION)
PARTS_OF = $(filter sql/src/% $(top)/sql/src/%,$^)
$(SCRIPT) $(UPDATE): $(PARTS) $(top)/sql/assemble
	$(ASSEMBLE) $(if $(filter $(UPDATE),$@),--from=$(LAST)) $(PARTS_OF) >$@.part
	mv $@.part $@

$(CITUS_SCRIPT): $(CITUS_PARTS) $(top)/sql/assemble
	$(ASSEMBLE) $(filter %.sql,$^) >$@.part
	mv $@.part $@

# The trusted edition: the same contract, with the engine in PL/pgSQL.
SCHEMA ?= public
TRUSTED = build/trusted
ENGINE = $(wildcard $(top)/sql/engine/*.sql)
ASSEMBLE_TRUSTED = $(ASSEMBLE) --engine=$(top)/sql/engine
TRUSTED_SCRIPT = $(TRUSTED)/$(notdir $(SCRIPT))
TRUSTED_UPDATE = $(addprefix $(TRUSTED)/,$(notdir $(UPDATE)))
MIGRATIONS = $(TRUSTED)/migration.sql $(LAST:%=$(TRUSTED)/migration--%--$(EXTVERSION).sql)
TLES = $(TRUSTED)/tle.sql $(LAST:%=$(TRUSTED)/tle--%--$(EXTVERSION).sql)

.PHONY: trusted install-trusted release
trusted: $(MIGRATIONS) $(TLES) $(TRUSTED_SCRIPT) $(TRUSTED)/$(EXTENSION).control

$(MIGRATIONS): $(PARTS) $(ENGINE) $(top)/sql/assemble FORCE
	@mkdir -p $(TRUSTED)
	$(ASSEMBLE_TRUSTED) $(if $(findstring --,$(@F)),--from=$(LAST)) --as=migration --schema=$(SCHEMA) $(PARTS_OF) >$@.part
	mv $@.part $@

$(TRUSTED_SCRIPT) $(TRUSTED_UPDATE): $(PARTS) $(ENGINE) $(top)/sql/assemble
	@mkdir -p $(TRUSTED)
	$(ASSEMBLE_TRUSTED) $(if $(filter $(TRUSTED_UPDATE),$@),--from=$(LAST)) $(PARTS_OF) >$@.part
	mv $@.part $@

# A trusted language extension is installed and updated by a function call, and has versions of three numbers.
$(TRUSTED)/tle.sql: $(TRUSTED_SCRIPT) $(EXTENSION).control
	{ echo "SELECT pgtle.install_extension('$(EXTENSION)', '$(EXTVERSION).0',"; \
	  sed -n "s/^comment = \('.*'\)/  \1,/p" $(lastword $^); echo '$$tle$$'; sed '/^\\echo/d' $<; echo '$$tle$$);'; } >$@

$(TRUSTED)/tle--$(LAST)--$(EXTVERSION).sql: $(TRUSTED_UPDATE)
	{ echo "SELECT pgtle.install_update_path('$(EXTENSION)', '$(LAST).0', '$(EXTVERSION).0',"; \
	  echo '$$tle$$'; sed '/^\\echo/d' $<; echo '$$tle$$);'; echo "SELECT pgtle.set_default_version('$(EXTENSION)', '$(EXTVERSION).0');"; } >$@

$(TRUSTED)/$(EXTENSION).control: $(EXTENSION).control
	@mkdir -p $(TRUSTED)
	sed -e '/^module_pathname/d' $< >$@
	echo "superuser = false" >>$@

install-trusted: $(TRUSTED_SCRIPT) $(TRUSTED_UPDATE) $(TRUSTED)/$(EXTENSION).control
	$(MKDIR_P) '$(DESTDIR)$(datadir)/extension'
	$(INSTALL_DATA) $^ $(wildcard $(top)/sql/trusted/$(EXTENSION)--*.sql) '$(DESTDIR)$(datadir)/extension/'

release: $(SCRIPT) $(UPDATE) $(CITUS_SCRIPT) $(TRUSTED_SCRIPT) $(TRUSTED_UPDATE) $(MIGRATIONS)
	mkdir -p sql/trusted
	cp $(filter $(TRUSTED)/%,$(filter-out %/migration.sql,$^)) sql/trusted
	cp $(TRUSTED)/migration.sql sql/trusted/migration--$(EXTVERSION).sql
	cd sql && sha256sum $(EXTENSION)*--*.sql trusted/*.sql >SHA256SUMS

# For goals that depend on SCHEMA, which may differ from the last time.
FORCE:

# The tests link the pure rules as they are, so they need neither a server nor its headers.
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
