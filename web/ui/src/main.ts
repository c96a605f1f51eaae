/** Starts the application; what a link carries is taken out of the address first. */
import { createPinia } from 'pinia'
import { createApp } from 'vue'
import App from './App.vue'
import { i18n, setLocale } from './i18n'
import { watchLinks } from './lib/carried'
import { makeRouter } from './router'
import { usePrefs } from './stores/prefs'
import './style.css'

watchLinks()
const app = createApp(App)
app.use(createPinia())
app.use(i18n)
setLocale(usePrefs().locale)
app.use(makeRouter())
app.mount('#app')
