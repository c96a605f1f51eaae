/**
 * Builds the browser application into web/static/app, where Django's static layer serves it at the root of
 * a tenant's host. Nothing is inlined and nothing is fetched from elsewhere, so that the page lives under a
 * content security policy of 'self'. `npm run mock` serves it with the development-only mock in mock/.
 */
import tailwindcss from '@tailwindcss/vite'
import vue from '@vitejs/plugin-vue'
import { fileURLToPath } from 'node:url'
import { defineConfig, type PluginOption } from 'vite'

export default defineConfig(async ({ command }) => {
  const plugins: PluginOption[] = [vue(), tailwindcss()]
  if (command === 'serve' && process.env.MURIMA_MOCK) {
    const { mockServer } = await import("./mock/plugin.ts")
    plugins.push(mockServer())
  }
  return {
    plugins,
    base: '/',
    resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
    define: {
      __VUE_OPTIONS_API__: false,
      __VUE_PROD_DEVTOOLS__: false,
      __INTLIFY_PROD_DEVTOOLS__: false,
      __VUE_I18N_LEGACY_API__: false,
    },
    build: {
      outDir: '../static/app',
      emptyOutDir: true,
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      target: 'es2022',
    },
    server: {
      host: '127.0.0.1',
      proxy: process.env.MURIMA_MOCK
        ? undefined
        : { '/api': target(), '/ws': { target: target(), ws: true } },
    },
    test: { environment: 'happy-dom', include: ['tests/**/*.test.ts'] },
  }
})

/** Where `npm run dev` finds a running stack; its address is in .murima/run.json. */
function target(): string {
  return process.env.MURIMA_WEB ?? 'http://127.0.0.1:8000'
}
