/** Starts the application. */
import { createPinia } from 'pinia'
import { createApp } from 'vue'
import App from './App.vue'
import { i18n, setLocale } from './i18n'
import { makeRouter } from './router'
import { usePrefs } from './stores/prefs'
import './style.css'

const app = createApp(App)
app.use(createPinia())
app.use(i18n)
setLocale(usePrefs().locale)
app.use(makeRouter())
app.mount('#app')
