/** Every screen has an address. Who is not signed in sees the sign-in page and is then brought to where they went. */
import { createRouter, createWebHistory, type Router } from 'vue-router'
import { carriedNote } from './lib/carried'
import { useSession } from './stores/session'

declare module 'vue-router' {
  interface RouteMeta {
    title?: string
    open?: boolean
  }
}

export function makeRouter(): Router {
  const router = createRouter({
    history: createWebHistory(),
    routes: [
      { path: '/sign-in', component: () => import('./views/SignInView.vue'), meta: { title: 'signin.title', open: true } },
      { path: '/invitation', component: () => import('./views/InvitationView.vue'), meta: { title: 'invitation.title', open: true } },
      { path: '/password-reset', component: () => import('./views/PasswordResetView.vue'), meta: { title: 'reset.title', open: true } },
      { path: '/second-factor', component: () => import('./views/EnrolView.vue'), meta: { title: 'enrol.title', open: true } },
      {
        path: '/',
        component: () => import('./views/ShellView.vue'),
        children: [
          { path: '', component: () => import('./views/DeskView.vue'), meta: { title: 'nav.desk' } },
          { path: 'calls', component: () => import('./views/CallsView.vue'), meta: { title: 'nav.calls' } },
          { path: 'calls/:id', component: () => import('./views/CallsView.vue'), meta: { title: 'nav.calls' } },
          { path: 'contacts', component: () => import('./views/ContactsView.vue'), meta: { title: 'nav.contacts' } },
          { path: 'contacts/:id', component: () => import('./views/ContactsView.vue'), meta: { title: 'nav.contacts' } },
          { path: 'account', component: () => import('./views/AccountView.vue'), meta: { title: 'account.title' } },
        ],
      },
      { path: '/:rest(.*)*', redirect: '/' },
    ],
  })
  router.beforeEach(async (to) => {
    // A sign-in through an identity provider came back and wants its second factor.
    if (carriedNote.value && to.path !== '/sign-in') return '/sign-in'
    if (to.meta.open) return true
    const session = useSession()
    await session.load().catch(() => undefined)
    if (session.enrolling) return '/second-factor'
    const { sign_in_error: refused, ...query } = to.query
    if (session.signedIn) return refused === undefined ? true : { path: to.path, query, replace: true }
    if (refused !== undefined) return { path: '/sign-in', query: { sign_in_error: refused } }
    return { path: '/sign-in', query: to.fullPath === '/' ? {} : { next: to.fullPath } }
  })
  // After an update the old page's parts are gone from the server: the whole page is loaded anew.
  router.onError((error: unknown, to) => {
    if (error instanceof Error && /dynamically imported|module script/i.test(error.message)) location.assign(to.fullPath)
  })
  return router
}
