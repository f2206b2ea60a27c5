import jupyter from '@jupyter/eslint-plugin';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['lib/**', 'node_modules/**', 'coverage/**', '*.js', '*.mjs', 'style/**'] },
  ...tseslint.configs.recommended,
  {
    plugins: { jupyter },
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname }
    },
    rules: {
      ...jupyter.configs.recommended.rules,
      '@typescript-eslint/no-explicit-any': 'off',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      curly: 'error',
      eqeqeq: 'error',
      'no-restricted-properties': [
        'error',
        { property: 'innerHTML', message: 'What users see is text.' },
        { property: 'dangerouslySetInnerHTML', message: 'What users see is text.' }
      ],
      'max-lines': ['error', 400]
    }
  }
);
