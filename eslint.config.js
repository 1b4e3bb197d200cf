// Lint rules beyond the compiler: type-checked strictness everywhere, and what a workflow may import.
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['node_modules/**', 'proto/gen/**', '.espalier/**', 'dist/**', 'test/peers/**/node_modules/**', '*.js'] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      // import() types are for SDKs that are loaded lazily.
      '@typescript-eslint/consistent-type-imports': [
        'error',
        { fixStyle: 'separate-type-imports', disallowTypeAnnotations: false },
      ],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // An async function that implements a promise-returning interface need not await.
      '@typescript-eslint/require-await': 'off',
      // Arrow shorthand that returns void reads well in callbacks.
      '@typescript-eslint/no-confusing-void-expression': 'off',
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportDefaultDeclaration', message: 'export by name: a reader finds a name, not a default' },
      ],
    },
  },
  {
    files: ['test/**', '**/*.config.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off', 'no-restricted-syntax': 'off' },
  },
  {
    files: ['workflows/**'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: ['node:*', '@temporalio/activity', '@temporalio/client', '@temporalio/worker'],
              message: 'workflows are deterministic: no I/O',
            },
          ],
        },
      ],
    },
  },
);
