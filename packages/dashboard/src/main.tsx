import { render } from 'preact';
import './styles/tokens.css';
import './styles/base.css';
import './styles/layout.css';
import { App } from './app.js';
import { startSession } from './login/session.js';
import { startTheme } from './view/theme.js';

startTheme();
startSession();
const page = document.getElementById('page');
if (page) render(<App />, page);
