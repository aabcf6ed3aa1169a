// The types that the page's JSDoc gives are those of database.types.ts, and the modules that a team would lift keep to them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import ts from '../../rest/node_modules/typescript/lib/typescript.js';

test('the compiler finds nothing in the modules without DOM', () => {
  const files = ['data', 'state', 'format', 'charts', 'claims'].map((name) => fileURLToPath(new URL(`../../../examples/dashboard/${name}.mjs`, import.meta.url)));
  const program = ts.createProgram(files, {
    allowJs: true, checkJs: true, strict: true, noImplicitAny: false, noEmit: true, allowImportingTsExtensions: true, types: [],
    target: ts.ScriptTarget.ES2022, lib: ['lib.es2023.d.ts', 'lib.dom.d.ts'], module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext,
  });
  const problems = ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => `${file?.fileName}:${file?.getLineAndCharacterOfPosition(start).line + 1}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`);
  assert.deepEqual(problems, []);
});
