# The machine's own Node may be older than ours: npm installs the pinned one, and every npm script runs on it.
.PHONY: demo start test check bench clean
STAMP := node_modules/.installed

demo: $(STAMP)
	npm run --silent demo

start: $(STAMP)
	npm run --silent start

test: $(STAMP)
	npm run --silent check
	npm run --silent coverage
	npm run --silent test

check: $(STAMP)
	npm run --silent check

bench: $(STAMP)
	npm run --silent bench

$(STAMP): package.json package-lock.json
	npm ci --no-audit --no-fund --loglevel=error
	@node -e "require('fs').writeFileSync('$(STAMP)', '')"

clean:
	@node -e "for (const p of ['dist','coverage']) require('fs').rmSync(p, {recursive: true, force: true})"
