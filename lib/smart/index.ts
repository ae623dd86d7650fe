// `passport-client-assertion-jwt/smart`: what SMART App Launch asks of an authorization server beside OAuth.

export { createSmartConfiguration, type SmartConfiguration } from './configuration.ts'
